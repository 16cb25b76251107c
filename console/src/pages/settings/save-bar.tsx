import { FormError } from "@/layout/form-error";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";

interface SaveBarProps {
  /** Labels of the changed fields; without one there is no bar. */
  changed: readonly string[];
  /** Labels of the changed fields that somebody else has changed since. */
  conflicts: readonly string[];
  error: unknown;
  isBusy: boolean;
  onDiscard: () => void;
}

/** The foot of a form with unsaved changes: names them, saves or discards them. */
export function SaveBar({ changed, conflicts, error, isBusy, onDiscard }: SaveBarProps) {
  const { settings, common } = useTexts("settings");
  if (changed.length === 0) return null;
  return (
    <div className="sticky bottom-0 z-10 -mx-1 grid gap-3 rounded-t-lg border border-b-0 bg-card px-4 py-3 shadow-lg sm:px-5">
      <FormError error={error} />
      <div className="flex flex-wrap items-center justify-end gap-x-4 gap-y-2">
        <div role="status" className="min-w-0 flex-1 basis-60 text-sm">
          <p>
            <strong className="font-semibold">{settings.unsaved}</strong> {changed.join(", ")}
          </p>
          <p className="text-muted-foreground">{settings.unsavedHint}</p>
          {conflicts.length > 0 && <p className="text-warning">{settings.conflict(conflicts.join(", "))}</p>}
        </div>
        <div className="flex gap-2">
          <Button variant="outline" onClick={onDiscard}>
            {settings.discard}
          </Button>
          <Button type="submit" isBusy={isBusy}>
            {common.save}
          </Button>
        </div>
      </div>
    </div>
  );
}
