export const documents = {
  title: "Documents",
  lead: "Your assistant answers from these files, with the page.",
  empty: "No documents yet",
};
