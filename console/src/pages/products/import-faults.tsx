import { Download } from "lucide-react";

import { ApiError } from "@/api/errors";
import { saveCsv } from "@/lib/download";
import { useFormat } from "@/session/company";
import { type Texts, useLanguage, useTexts } from "@/texts";
import { Alert } from "@/ui/alert";
import { Button } from "@/ui/button";
import { Card, CardContent, CardHeader, CardTitle } from "@/ui/card";
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from "@/ui/table";

import { cellOf, type Column, type Fault, type ProductFile } from "./csv";

const MAX_SHOWN = 100;

/**
 * The faults of a file: those that the API found once it has refused the file, else those that the preview found. The
 * preview's sentence is taken where both know the fault, as it is in the reader's language.
 */
export function faultsOf(error: unknown, file: ProductFile, reasons: Texts["products"]["reasons"]): Fault[] {
  if (!(error instanceof ApiError) || error.fieldErrors.length === 0) return file.faults;
  return error.fieldErrors.map(({ field, message, line }) => {
    const known = file.faults.find((fault) => fault.field === field && (fault.line ?? null) === (line ?? null));
    if (known) return known;
    const row = file.rows.find((one) => one.line === line);
    const value = row === undefined ? "" : field === "row" ? row.fields.join(" | ") : cellOf(row, file.columns, field as Column);
    return { line: line ?? null, field: field === "body" ? "row" : field, value, reason: reasons.server(message) };
  });
}

export function ImportFaults({ faults, wasRefused }: { faults: readonly Fault[]; wasRefused: boolean }) {
  const { products } = useTexts("products");
  const language = useLanguage();
  const format = useFormat();
  if (faults.length === 0) return null;
  const head = [products.line, products.problemColumn, products.problemValue, products.problemReason];
  const save = () => {
    const rows = faults.map(({ line, field, value, reason }) => [line ?? "", nameOf(field, products), value, reason]);
    void saveCsv(products.problemsFile, language, [head, ...rows]);
  };
  return (
    <Card>
      <CardHeader>
        <CardTitle>{products.problems(faults.length)}</CardTitle>
        <Button variant="outline" size="sm" onClick={save}>
          <Download aria-hidden />
          {products.problemsCsv}
        </Button>
      </CardHeader>
      <CardContent className="grid grid-cols-1 gap-3">
        <Alert variant="warning" role="alert">
          {wasRefused ? products.problemsHint : products.problemsMaybe}
        </Alert>
        <Table aria-label={products.problemsTable}>
          <TableHeader>
            <TableRow>
              {head.map((title) => (
                <TableHead key={title}>{title}</TableHead>
              ))}
            </TableRow>
          </TableHeader>
          <TableBody>
            {faults.slice(0, MAX_SHOWN).map(({ line, field, value, reason }, place) => (
              <TableRow key={place}>
                <TableCell className="tabular-nums">{line === null ? "" : format.number(line)}</TableCell>
                <TableCell>{nameOf(field, products)}</TableCell>
                <TableCell className="max-w-48 truncate">
                  <bdi>{value}</bdi>
                </TableCell>
                <TableCell className="min-w-48">{reason}</TableCell>
              </TableRow>
            ))}
          </TableBody>
        </Table>
        {faults.length > MAX_SHOWN && <p className="text-sm text-muted-foreground">{products.problemsMore(faults.length - MAX_SHOWN)}</p>}
      </CardContent>
    </Card>
  );
}

const nameOf = (field: string, products: Texts["products"]) => (field === "row" ? products.row : field);
