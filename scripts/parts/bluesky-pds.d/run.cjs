// A real Bluesky PDS and its PLC directory, in memory, on loopback ports.
// Run by scripts/parts/bluesky-pds, which installs what is required here.
const net = require('net');

// The PDS listens on every address unless told otherwise, and has no way to be told.
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, ...rest) {
  if (typeof port === 'number' && typeof rest[0] !== 'string') return listen.call(this, port, '127.0.0.1', ...rest);
  return listen.call(this, port, ...rest);
};

const { TestNetworkNoAppView } = require('@atproto/dev-env');

(async () => {
  const network = await TestNetworkNoAppView.create({
    plc: { port: Number(process.env.PLC_PORT) },
    pds: { port: Number(process.env.PDS_PORT) },
  });
  console.log('ready', network.pds.url);
  process.on('SIGTERM', async () => {
    await network.close();
    process.exit(0);
  });
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
