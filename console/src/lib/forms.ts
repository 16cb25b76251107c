import { type FieldValues, type Path, type UseFormReturn } from "react-hook-form";

import { ApiError } from "@/api/errors";
import { texts } from "@/texts";

/**
 * Puts the values that the server refused beside their fields. Returns true when every refused value has a field in the
 * form; otherwise the caller shows the error itself. `fieldOf` names the form's field of a server's one where they differ.
 */
export function showFieldErrors<T extends FieldValues>(
  form: UseFormReturn<T>,
  error: unknown,
  fieldOf: (field: string) => string = (field) => field,
): boolean {
  if (!(error instanceof ApiError) || error.fieldErrors.length === 0) return false;
  const known = new Set(Object.keys(form.getValues()));
  const refused = error.fieldErrors.map(({ field, message }) => ({ field: fieldOf(field), message }));
  const shown = refused.filter(({ field }) => known.has(field));
  for (const { field, message } of shown) form.setError(field as Path<T>, { type: "server", message: texts().errors.refused(message) });
  return shown.length === error.fieldErrors.length;
}
