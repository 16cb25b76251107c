import { ApiError } from "@/api/errors";
import { useTexts } from "@/texts";
import { ConfirmDialog } from "@/ui/dialog";

export interface Regression {
  id: string;
  question: string;
}

/** Returns the golden questions that a refused change would break; null for another failure. */
export function regressionsOf(error: unknown): Regression[] | null {
  if (!(error instanceof ApiError) || error.code !== "golden_regressions") return null;
  const { regressions } = (error.details ?? {}) as { regressions?: unknown };
  return Array.isArray(regressions) ? regressions.filter(isRegression) : [];
}

function isRegression(value: unknown): value is Regression {
  const { id, question } = (value ?? {}) as Record<string, unknown>;
  return typeof id === "string" && typeof question === "string";
}

interface RegressionsProps {
  regressions: readonly Regression[];
  isBusy: boolean;
  onAccept: () => void;
  onClose: () => void;
}

/** Asks before a change with which golden questions fail that pass now, and names them. */
export function RegressionsDialog({ regressions, isBusy, onAccept, onClose }: RegressionsProps) {
  const { settings } = useTexts("settings");
  return (
    <ConfirmDialog
      title={settings.prompts.regressionsTitle}
      text={
        <div className="grid gap-2">
          <p>{settings.prompts.regressionsLead}</p>
          <ul className="list-disc pl-5">
            {regressions.map(({ id, question }) => (
              <li key={id} dir="auto">
                {question}
              </li>
            ))}
          </ul>
        </div>
      }
      confirm={settings.prompts.acceptRegressions}
      isBusy={isBusy}
      onConfirm={onAccept}
      onClose={onClose}
    />
  );
}
