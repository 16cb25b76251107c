import { textOfError } from "@/lib/error-text";
import { useTexts } from "@/texts";
import { Alert } from "@/ui/alert";

import { RequestId } from "./states";

/** The failure of a form, above its button. Nothing while there is none. */
export function FormError({ error }: { error: unknown }) {
  const all = useTexts();
  return (
    <div role="alert" className="empty:hidden">
      {error !== null && error !== undefined && (
        <Alert variant="destructive">
          <div className="grid gap-1">
            <span>{textOfError(error, all)}</span>
            <RequestId error={error} />
          </div>
        </Alert>
      )}
    </div>
  );
}
