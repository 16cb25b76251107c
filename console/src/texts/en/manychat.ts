/** How ManyChat is connected. Words in quotes are those of ManyChat's own screens, which are in English. */
export const manychat = {
  needsTitle: "You need ManyChat’s Pro plan.",
  needs:
    "ManyChat’s step “External Request”, by which messages come to Lisa, and its API key are part of it. Your WhatsApp number must be connected in ManyChat, too. You copy and paste only; nothing is programmed.",
  secret: "Secret",
  secretLead:
    "The secret is a password between ManyChat and Lisa: by it Lisa knows that a message is for your company. You paste it into ManyChat in step 3. Show it to nobody else.",
  keyLead: "With the key Lisa sends its answers through your ManyChat account. In ManyChat, open “Settings”, then “API”, and press “Generate your API key”. Copy the key, and paste it here.",
  request: {
    title: "Add the “External Request” in ManyChat",
    open: "In ManyChat, open the automation that starts when a customer writes on WhatsApp, for example the “Default Reply” of WhatsApp. It is shown in the “Flow Builder”.",
    action: "Add an “Action” to it, and choose “External Request” among the “Dev Tools”. This action passes each message on to Lisa.",
    type: "“Request type”: choose POST. It means that ManyChat sends something.",
    url: "“Request URL”: paste Lisa’s address, to which ManyChat sends.",
    headers:
      "“Headers”: add these two lines. They are like the outside of an envelope: the first shows who sends, the second how the letter is written.",
    headerName: "Name, on the left",
    headerValue: "Value, on the right",
    secretOfStep1: "the secret of step 1",
    body: "“Body”: paste this text as it is. It is the letter: ManyChat puts the customer’s message, name and number in the place of the words in braces.",
    bodyHints: [
      "Write no quotation marks around the braces. ManyChat writes them by itself: that is what to_json:true is for.",
      "If ManyChat does not know a name in braces, choose this field with ManyChat’s field picker, and write behind its name what stands here after it, such as |to_json:true.",
      "The line with “id” stays the first.",
    ],
    mapping: "“Response mapping”: leave it empty. Lisa sends its answers to WhatsApp by itself.",
    test: "Press “Test the request”. If ManyChat shows 200, the message has arrived at Lisa. Save the automation, and switch it on.",
  },
};
