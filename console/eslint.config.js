import js from "@eslint/js";
import jsxA11y from "eslint-plugin-jsx-a11y";
import reactHooks from "eslint-plugin-react-hooks";
import globals from "globals";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["dist", "node_modules", "src/api/schema.d.ts"] },
  js.configs.recommended,
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-misused-promises": ["error", { checksVoidReturn: { attributes: false } }],
      "@typescript-eslint/only-throw-error": ["error", { allow: [{ from: "package", package: "@tanstack/router-core", name: "Redirect" }] }],
      "no-restricted-globals": ["error", { name: "fetch", message: "Calls of the API go through src/api/client.ts." }],
      "no-restricted-syntax": [
        "error",
        { selector: "JSXAttribute[name.name='dangerouslySetInnerHTML']", message: "Texts of others must never become markup." },
      ],
    },
  },
  {
    files: ["src/**/*.{ts,tsx}"],
    languageOptions: { globals: globals.browser },
    plugins: { "react-hooks": reactHooks, "jsx-a11y": jsxA11y },
    rules: {
      ...reactHooks.configs.recommended.rules,
      ...jsxA11y.flatConfigs.strict.rules,
    },
  },
  // French marks stay with the word before them by a space that does not break.
  { files: ["src/texts/fr/**"], rules: { "no-irregular-whitespace": ["error", { skipTemplates: true }] } },
  {
    files: ["*.config.{ts,js}", "viewer-plugin.ts", "scripts/**", "tests/**"],
    languageOptions: { globals: globals.node },
    rules: { "no-restricted-globals": "off" },
  },
  { files: ["public/**", "scripts/look.mjs"], languageOptions: { globals: globals.browser } },
  { files: ["**/*.{js,mjs}"], ...tseslint.configs.disableTypeChecked },
);
