import { cn } from "@/lib/cn";

interface ProgressProps {
  label: string;
  /** A share between 0 and 1; null while the end is unknown. */
  share: number | null;
  className?: string;
}

/** The browser's own progress bar: a width by style attribute would break the content security policy in markup. */
export function Progress({ label, share, className }: ProgressProps) {
  return (
    <progress
      aria-label={label}
      max={1}
      {...(share === null ? {} : { value: share })}
      className={cn(
        "h-1.5 w-full appearance-none overflow-hidden rounded-full bg-muted [&::-moz-progress-bar]:bg-primary [&::-webkit-progress-bar]:bg-muted [&::-webkit-progress-value]:bg-primary",
        className,
      )}
    />
  );
}
