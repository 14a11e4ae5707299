// Loaded before a mock service: it then listens on 127.0.0.1 alone, on a port of the system's choice, and says which.
const fs = require("node:fs");
const net = require("node:net");

const listen = net.Server.prototype.listen;

net.Server.prototype.listen = function (_port, ...rest) {
  const done = rest.find((argument) => typeof argument === "function");
  return listen.call(this, { port: 0, host: "127.0.0.1" }, () => {
    fs.writeFileSync(process.env.PORT_FILE + ".new", String(this.address().port));
    fs.renameSync(process.env.PORT_FILE + ".new", process.env.PORT_FILE);
    if (done) done();
  });
};
