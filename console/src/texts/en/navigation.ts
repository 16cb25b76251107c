/** The names of the pages, which the frame shows before their own texts are loaded. */
export const navigation = {
  start: "First hour",
  inbox: "Inbox",
  unanswered: "Unanswered",
  dashboard: "Dashboard",
  orders: "Orders",
  products: "Products",
  documents: "Documents",
  playground: "Playground",
  activities: "Activity",
  settings: "Settings",
  admin: "Administration",
  profile: "Your profile",
};
