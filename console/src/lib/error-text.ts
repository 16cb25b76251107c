import { ApiError } from "@/api/errors";
import type { BaseTexts } from "@/texts";

/** Says what went wrong, and when a retry is worth it: by the API's code, else by the status. */
export function textOfError(error: unknown, { errors, common }: BaseTexts): string {
  if (!(error instanceof ApiError)) return errors.byStatus.unknown;
  const text = errors.byCode[error.code] ?? textOfStatus(error.status, errors.byStatus);
  return error.retryAfterS !== null && error.retryAfterS > 0
    ? `${text} ${errors.retryIn(common.seconds(Math.ceil(error.retryAfterS)))}`
    : text;
}

function textOfStatus(status: number, texts: BaseTexts["errors"]["byStatus"]): string {
  switch (status) {
    case 0:
      return texts.offline;
    case 400:
      return texts.badRequest;
    case 401:
      return texts.unauthorized;
    case 402:
      return texts.paymentRequired;
    case 403:
      return texts.forbidden;
    case 404:
      return texts.notFound;
    case 409:
      return texts.conflict;
    case 413:
      return texts.tooLarge;
    case 422:
      return texts.invalid;
    case 429:
      return texts.tooMany;
    case 502:
    case 503:
    case 504:
      return texts.unavailable;
    default:
      return status >= 500 ? texts.server : texts.unknown;
  }
}
