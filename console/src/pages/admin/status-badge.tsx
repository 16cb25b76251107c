import { useTexts } from "@/texts";
import { Badge } from "@/ui/badge";

const VARIANTS: Record<string, "success" | "warning" | "destructive"> = { active: "success", suspended: "warning", deleted: "destructive" };

/** The state of a company: active, suspended or deleted. */
export function StatusBadge({ status }: { status: string }) {
  const { admin } = useTexts("admin");
  return <Badge variant={VARIANTS[status] ?? "secondary"}>{admin.statuses[status] ?? status}</Badge>;
}
