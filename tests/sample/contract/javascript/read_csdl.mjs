// Reads {modulesUrl, xml, json} from stdin: what three readers of CSDL make of one service, as JSON on stdout.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const { modulesUrl, xml, json } = JSON.parse(readFileSync(0, "utf8"));
const require = createRequire(modulesUrl);

const { xml2json } = require("odata-csdl/lib/xml2json.js");
const Ajv = require("ajv");
const { parse } = require("@sap-ux/edmx-parser");

const validate = new Ajv({ strict: false, allErrors: true }).compile(require("odata-csdl/schemas/csdl.schema.json"));
validate(json);

process.stdout.write(
  JSON.stringify({ converted: xml2json(xml), problems: validate.errors ?? [], parsed: parse(xml).schema }),
);
