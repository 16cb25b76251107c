import { cva, type VariantProps } from "class-variance-authority";
import type { ComponentProps } from "react";

import { cn } from "@/lib/cn";

const alertVariants = cva("flex w-full flex-wrap items-center gap-x-3 gap-y-2 rounded-md border px-4 py-3 text-sm [&_svg]:size-4 [&_svg]:shrink-0", {
  variants: {
    variant: {
      default: "bg-card",
      warning: "border-warning bg-warning-surface text-warning",
      success: "border-success bg-success-surface text-success",
      destructive: "border-destructive text-destructive",
    },
  },
  defaultVariants: { variant: "default" },
});

/** A note on the page. Give `role="alert"` or `role="status"` when it appears after the page did. */
export function Alert({ className, variant, ...props }: ComponentProps<"div"> & VariantProps<typeof alertVariants>) {
  return <div className={cn(alertVariants({ variant }), className)} {...props} />;
}
