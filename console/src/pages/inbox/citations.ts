/** A passage that an answer in a conversation cites. Older answers may lack any of it but the name. */
export interface StoredCitation {
  document_id: string | null;
  filename: string;
  page: number | null;
  location: string | null;
  snippet: string | null;
}

const text = (value: unknown) => (typeof value === "string" && value !== "" ? value : null);

/** Reads a message's citations, which the API types as objects only. */
export function readCitations(stored: readonly unknown[] | null | undefined): StoredCitation[] {
  return (stored ?? []).flatMap((value) => {
    const citation = value as Record<string, unknown> | null;
    const filename = text(citation?.["filename"]);
    if (citation === null || filename === null) return [];
    const page = citation["page"];
    return [
      {
        document_id: text(citation["document_id"]),
        filename,
        page: typeof page === "number" && Number.isInteger(page) && page > 0 ? page : null,
        location: text(citation["location"]),
        snippet: text(citation["snippet"]),
      },
    ];
  });
}

/** Address of the document at the cited page; null when the document is not known. */
export function citationPath({ document_id, page }: StoredCitation): string | null {
  if (document_id === null) return null;
  return `/documents/${encodeURIComponent(document_id)}${page === null ? "" : `?page=${page}`}`;
}
