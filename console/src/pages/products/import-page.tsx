import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ArrowLeft, Download, FileUp } from "lucide-react";
import { type ReactNode, useRef, useState } from "react";

import { send } from "@/api/client";
import { FormError } from "@/layout/form-error";
import { OwnersOnly } from "@/layout/owners-only";
import { Page } from "@/layout/page";
import { cn } from "@/lib/cn";
import { saveCsv } from "@/lib/download";
import { useIsOwner } from "@/session/company";
import { useLanguage, useTexts } from "@/texts";
import { Alert } from "@/ui/alert";
import { Button } from "@/ui/button";

import { type ProductFile, readProducts } from "./csv";
import { faultsOf, ImportFaults } from "./import-faults";
import { ImportPreview } from "./import-preview";
import type { ProductImport } from "./queries";

export function ImportProductsPage() {
  const { products } = useTexts("products");
  return useIsOwner() ? <ImportProducts /> : <OwnersOnly title={products.importTitle}>{products.ownersOnly}</OwnersOnly>;
}

function ImportProducts() {
  const { products } = useTexts("products");
  const language = useLanguage();
  const [file, setFile] = useState<ProductFile | null>(null);
  const [isUnreadable, setUnreadable] = useState(false);
  const submit = useImport();
  const choose = async (chosen: File) => {
    submit.reset();
    const read = await readProducts(chosen.name, await chosen.arrayBuffer(), products.reasons);
    setFile(read);
    setUnreadable(read === null);
  };
  const faults = file === null ? [] : faultsOf(submit.error, file, products.reasons);
  return (
    <Page
      title={products.importTitle}
      lead={products.importLead}
      actions={
        <Button variant="ghost" asChild>
          <Link to="/products">
            <ArrowLeft aria-hidden />
            {products.toList}
          </Link>
        </Button>
      }
    >
      <p className="max-w-2xl text-sm">{products.importFormat}</p>
      <Chooser hasFile={file !== null} onChoose={(chosen) => void choose(chosen)}>
        <Button variant="outline" onClick={() => void saveCsv(products.templateFile, language, products.templateRows)}>
          <Download aria-hidden />
          {products.template}
        </Button>
      </Chooser>
      {isUnreadable && (
        <Alert variant="destructive" role="alert">
          {products.unreadable}
        </Alert>
      )}
      {submit.data && file && <Result result={submit.data} />}
      {file && !submit.data && (
        <>
          <ImportFaults faults={faults} wasRefused={submit.isError} />
          {submit.isError && faults.length === 0 && <FormError error={submit.error} />}
          <ImportPreview file={file} />
          {file.rows.length > 0 && (
            <Button className="justify-self-start" isBusy={submit.isPending} disabled={faults.length > 0} onClick={() => submit.mutate(file)}>
              {products.submit(file.rows.length)}
            </Button>
          )}
        </>
      )}
    </Page>
  );
}

/** Sends the file as it is: the API reads every encoding, but takes only UTF-8 as `text/csv`. */
function useImport() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async ({ bytes, isUtf8 }: ProductFile) => {
      const url = `${window.location.origin}/api/v1/products/import`;
      const headers = { "content-type": isUtf8 ? "text/csv" : "application/octet-stream" };
      const response = await send(new Request(url, { method: "POST", body: bytes, headers }));
      return ((await response.json()) as { data: ProductImport }).data;
    },
    onSettled: () => void queries.invalidateQueries({ queryKey: ["products"] }),
    meta: { showsError: true },
  });
}

function Result({ result: { rows, created, updated, unchanged } }: { result: ProductImport }) {
  const { products } = useTexts("products");
  return (
    <Alert variant="success" role="status">
      <span className="min-w-0 flex-1 basis-60">{products.done(rows, created, updated, unchanged)}</span>
      <Button size="sm" asChild>
        <Link to="/products">{products.toList}</Link>
      </Button>
    </Alert>
  );
}

interface ChooserProps {
  hasFile: boolean;
  onChoose: (file: File) => void;
  children: ReactNode;
}

/** A button and a place to drop a file. */
function Chooser({ hasFile, onChoose, children }: ChooserProps) {
  const { products } = useTexts("products");
  const input = useRef<HTMLInputElement>(null);
  const [isOver, setOver] = useState(false);
  return (
    // Dropping is a second way only: the button does the same by keyboard.
    // eslint-disable-next-line jsx-a11y/no-static-element-interactions
    <div
      className={cn("flex flex-wrap items-center gap-3 rounded-lg border border-dashed border-input bg-card px-5 py-6", isOver && "bg-accent")}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        const [file] = event.dataTransfer.files;
        if (file) onChoose(file);
      }}
    >
      <input
        ref={input}
        type="file"
        hidden
        accept=".csv,.tsv,.txt,text/csv"
        onChange={(event) => {
          const file = event.target.files?.[0];
          // The same file, mended, may be chosen again.
          event.target.value = "";
          if (file) onChoose(file);
        }}
      />
      <Button variant={hasFile ? "outline" : "default"} onClick={() => input.current?.click()}>
        <FileUp aria-hidden />
        {hasFile ? products.chooseOther : products.choose}
      </Button>
      <span className="text-sm text-muted-foreground">{products.drop}</span>
      <span className="flex-1" />
      {children}
    </div>
  );
}
