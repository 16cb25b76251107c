import type { ComponentProps } from "react";

import { cn } from "@/lib/cn";

/** A table that scrolls by itself on a narrow screen. Name it with `aria-label`. */
export function Table({ className, "aria-label": label, ...props }: ComponentProps<"table">) {
  return (
    // The scrolled part must be reachable by keyboard.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div className="relative w-full overflow-x-auto" role="region" aria-label={label} tabIndex={0}>
      <table aria-label={label} className={cn("w-full text-sm", className)} {...props} />
    </div>
  );
}

export function TableHeader({ className, ...props }: ComponentProps<"thead">) {
  return <thead className={cn("border-b", className)} {...props} />;
}

export function TableBody(props: ComponentProps<"tbody">) {
  return <tbody {...props} />;
}

export function TableRow({ className, ...props }: ComponentProps<"tr">) {
  return <tr className={cn("border-b last:border-b-0", className)} {...props} />;
}

export function TableHead({ className, scope = "col", children, ...props }: ComponentProps<"th">) {
  return (
    <th scope={scope} className={cn("h-9 px-3 text-left font-medium whitespace-nowrap text-muted-foreground", className)} {...props}>
      {children}
    </th>
  );
}

export function TableCell({ className, ...props }: ComponentProps<"td">) {
  return <td className={cn("px-3 py-2.5 align-middle", className)} {...props} />;
}
