// Standard input: [tables as {name: "(column: type, ...)"}, queries as {name: text}]. Standard output: what Kusto's own
// parser finds wrong, as {name: [text]}. The folder of the installed packages is the first argument.
const path = require("node:path");
const fs = require("node:fs");

const folder = path.join(process.argv[2], "@kusto", "language-service-next");
require(path.join(folder, "bridge.min.js"));
require(path.join(folder, "Kusto.Language.Bridge.min.js"));

const { GlobalState, KustoCode, Symbols } = Kusto.Language;
const [schema, queries] = JSON.parse(fs.readFileSync(0, "utf8"));
const tables = Object.entries(schema).map(([name, columns]) => Symbols.TableSymbol.From(columns).WithName(name));
const database = new Symbols.DatabaseSymbol.$ctor3("insights", null, tables, false);
const globals = GlobalState.Default.WithDatabase(database);

const found = {};
for (const [name, text] of Object.entries(queries)) {
  const diagnostics = Bridge.toArray(KustoCode.ParseAndAnalyze(text, globals).GetDiagnostics());
  found[name] = diagnostics.map((each) => `${each.Message} at ${each.Start}`);
}
process.stdout.write(JSON.stringify(found));
