import { plural } from "../plural";

export const layout = {
  skip: "Skip to the content",
  navigation: "Pages",
  menu: "Menu",
  account: "Account",
  signOut: "Sign out",
  language: "Language",
  languages: { fr: "Français", en: "English" },
  theme: "Appearance",
  themes: { light: "Light", dark: "Dark", system: "Like the system" },
  company: "Company",
  roles: { owner: "Owner", support: "Support" },
  live: "Sells (LIVE)",
  rag: "Answers from documents",
  offline: "No connection. What you write is kept, and the page goes on when the connection is back.",
  notifications: "Notifications",
  paywall: {
    title: "Your plan is used up",
    choose: "Choose a plan",
    askOwner: "Ask the owner of the company to choose a plan.",
  },
  waiting: (n: number) => plural("en", n, "conversation waits", "conversations wait"),
  suspended: "This company is suspended",
  noCompany: "You belong to no company yet",
  noCompanyHint: "Open the invitation that a colleague sent you, or sign up with a company of your own.",
  shortcuts: "Keyboard shortcuts",
};
