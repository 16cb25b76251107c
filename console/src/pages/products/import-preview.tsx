import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Card, CardContent, CardHeader, CardTitle } from "@/ui/card";
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from "@/ui/table";

import type { ProductFile } from "./csv";

const MAX_SHOWN = 10;

/** The first rows of the file, as they were read: a wrong separator or encoding is seen here. */
export function ImportPreview({ file }: { file: ProductFile }) {
  const { products } = useTexts("products");
  const format = useFormat();
  const rest = file.rows.length - MAX_SHOWN;
  return (
    <Card>
      <CardHeader>
        <CardTitle className="min-w-0 [overflow-wrap:anywhere]">{products.preview(file.filename, file.rows.length)}</CardTitle>
      </CardHeader>
      <CardContent className="grid grid-cols-1 gap-3">
        {file.rows.length > 0 && (
          <Table aria-label={products.previewTable}>
            <TableHeader>
              <TableRow>
                <TableHead>{products.line}</TableHead>
                {file.header.map((name, place) => (
                  <TableHead key={place} className="max-w-40 truncate">
                    <bdi>{name === "" ? "–" : name}</bdi>
                  </TableHead>
                ))}
              </TableRow>
            </TableHeader>
            <TableBody>
              {file.rows.slice(0, MAX_SHOWN).map(({ line, fields }) => (
                <TableRow key={line}>
                  <TableCell className="text-muted-foreground tabular-nums">{format.number(line)}</TableCell>
                  {fields.map((field, place) => (
                    <TableCell key={place} className="max-w-60 truncate">
                      <bdi>{field}</bdi>
                    </TableCell>
                  ))}
                </TableRow>
              ))}
            </TableBody>
          </Table>
        )}
        {rest > 0 && <p className="text-sm text-muted-foreground">{products.previewMore(rest)}</p>}
      </CardContent>
    </Card>
  );
}
