import { useTexts } from "@/texts";
import { Alert } from "@/ui/alert";
import { Badge } from "@/ui/badge";
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from "@/ui/table";

import type { GoldenRun } from "./queries";

/** The golden questions with the prompt in force and with the draft, side by side. */
export function GoldenComparison({ live, draft }: { live: GoldenRun; draft: GoldenRun }) {
  const { playground } = useTexts("playground");
  const before = new Map(live.results.map((result) => [result.id, result]));
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-3">
      <Alert role="status" variant={draft.regressions > 0 ? "warning" : "success"}>
        {draft.regressions > 0 ? playground.regressions(draft.regressions) : playground.noRegressions(draft.passed, draft.results.length)}
      </Alert>
      <Table aria-label={playground.golden}>
        <TableHeader>
          <TableRow>
            <TableHead>{playground.question}</TableHead>
            <TableHead>{playground.live}</TableHead>
            <TableHead>{playground.draft}</TableHead>
          </TableRow>
        </TableHeader>
        <TableBody>
          {draft.results.map((result) => (
            <TableRow key={result.id}>
              <TableCell className="min-w-48 align-top [overflow-wrap:anywhere]">
                <bdi>{result.question}</bdi>
              </TableCell>
              <TableCell className="align-top">
                <Outcome result={before.get(result.id)} />
              </TableCell>
              <TableCell className="min-w-48 align-top">
                <Outcome result={result} />
                <p dir="auto" className="mt-1 line-clamp-3 text-muted-foreground [overflow-wrap:anywhere]">
                  {result.answer}
                </p>
              </TableCell>
            </TableRow>
          ))}
        </TableBody>
      </Table>
    </div>
  );
}

function Outcome({ result }: { result: GoldenRun["results"][number] | undefined }) {
  const { playground } = useTexts("playground");
  if (result === undefined) return null;
  return (
    <div className="flex flex-wrap items-center gap-2">
      <Badge variant={result.passed ? "success" : "destructive"}>{result.passed ? playground.passed : playground.failed}</Badge>
      {result.reason != null && <span className="text-muted-foreground">{playground.reasons[result.reason] ?? result.reason}</span>}
    </div>
  );
}
