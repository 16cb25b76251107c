/** Saves a text as a file of the reader's computer. */
export function saveText(filename: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = filename;
  link.click();
  // The browser has the file's content by the next task.
  setTimeout(() => URL.revokeObjectURL(url), 0);
}

const BYTE_ORDER_MARK = "\uFEFF";

/** Writes rows as CSV that spreadsheets open: French ones expect semicolons, and all take UTF-8 by its mark. */
export async function saveCsv(filename: string, language: "fr" | "en", rows: readonly (readonly (string | number)[])[]): Promise<void> {
  const { default: Papa } = await import("papaparse");
  const csv = Papa.unparse(rows as (string | number)[][], { delimiter: language === "fr" ? ";" : ",", escapeFormulae: true });
  saveText(filename, "text/csv;charset=utf-8", `${BYTE_ORDER_MARK}${csv}\r\n`);
}
