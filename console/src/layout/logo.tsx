export function Logo() {
  return (
    <svg aria-hidden viewBox="0 0 32 32" className="size-7 shrink-0">
      <rect width="32" height="32" rx="8" className="fill-primary" />
      <path d="M10 7v15h12v-4h-8V7z" className="fill-primary-foreground" />
    </svg>
  );
}
