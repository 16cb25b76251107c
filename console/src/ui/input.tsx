import type { ComponentProps } from "react";

import { cn } from "@/lib/cn";

export const inputClasses =
  "w-full min-w-0 rounded-md border border-input bg-card px-3 text-base text-foreground placeholder:text-muted-foreground disabled:cursor-not-allowed disabled:opacity-50 aria-invalid:border-destructive sm:text-sm";

export function Input({ className, type = "text", ...props }: ComponentProps<"input">) {
  return <input type={type} className={cn(inputClasses, "h-9", className)} {...props} />;
}

export function Textarea({ className, ...props }: ComponentProps<"textarea">) {
  return <textarea className={cn(inputClasses, "field-sizing-content min-h-20 py-2", className)} {...props} />;
}

/** The browser's own list, which a phone shows best. */
export function Select({ className, ...props }: ComponentProps<"select">) {
  return <select className={cn(inputClasses, "h-9 pr-8", className)} {...props} />;
}
