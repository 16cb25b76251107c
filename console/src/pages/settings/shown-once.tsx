import { useTexts } from "@/texts";
import { Alert } from "@/ui/alert";
import { Button } from "@/ui/button";
import { CopyButton } from "@/ui/copy-button";
import { Dialog } from "@/ui/dialog";

interface ShownOnceProps {
  title: string;
  /** Says what to do with it. */
  text: string;
  /** Names the value for the button that copies it. */
  label: string;
  value: string;
  onClose: () => void;
}

/** Shows a link or a secret that no later answer has: to copy it now. */
export function ShownOnce({ title, text, label, value, onClose }: ShownOnceProps) {
  const { settings } = useTexts("settings");
  return (
    <Dialog title={title} onClose={onClose} actions={<Button onClick={onClose}>{settings.copiedClose}</Button>}>
      <div className="grid gap-4 text-sm">
        <p>{text}</p>
        <div className="flex items-start gap-2">
          <code className="min-w-0 flex-1 rounded-md bg-muted px-3 py-2 break-all select-all">{value}</code>
          <CopyButton text={value} label={label} />
        </div>
        <Alert variant="warning">{settings.shownOnce}</Alert>
      </div>
    </Dialog>
  );
}
