import { FormError } from "@/layout/form-error";
import { RequestId } from "@/layout/states";
import { useTexts } from "@/texts";
import { Alert } from "@/ui/alert";

import { conflictText } from "./conflict";

/** The failure of a change of an order. A conflict says what the order is by now. */
export function OrderError({ error }: { error: unknown }) {
  const { orders } = useTexts("orders");
  const explanation = conflictText(error, orders);
  if (explanation === null) return <FormError error={error} />;
  return (
    <Alert variant="warning" role="alert">
      <div className="grid gap-1">
        <span>{explanation}</span>
        <RequestId error={error} />
      </div>
    </Alert>
  );
}
