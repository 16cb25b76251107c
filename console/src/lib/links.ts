/** Returns the link of a one-time token: the API's, else a page of this console where it knows no address of a front end. */
export function tokenLink(link: string | null | undefined, page: "/invitation" | "/password-reset", token: string): string {
  return link ?? `${window.location.origin}${page}#token=${encodeURIComponent(token)}`;
}
