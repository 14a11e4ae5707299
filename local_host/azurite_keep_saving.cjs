// Loaded before Azurite, which handles its first SIGTERM only: a second one would end it while it saves. The kernel
// sends several when a host with several threads dies (prctl(2), PR_SET_PDEATHSIG). This handler makes them harmless.
process.on("SIGTERM", () => {});
