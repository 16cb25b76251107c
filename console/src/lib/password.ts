/** Least length of a password, as the API has it. */
export const MIN_PASSWORD_CHARS = 10;
