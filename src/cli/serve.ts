import { Command } from 'commander';

export function serveCommand(): Command {
  return new Command('serve')
    .description('run the server, with an embedded database and a demo where nothing else is configured')
    .addHelpText(
      'after',
      `
Settings are environment variables, listed with their defaults in .env.example.
CONFIG is applied when nothing is declared yet, or only the demo; later a difference is only reported: curfew apply
is for that.

Examples:
  curfew serve
  ISSUER=https://login.example.com CONFIG=curfew.yaml DATABASE_URL=postgresql://… curfew serve`,
    )
    .action(async () => {
      // All that a server needs is loaded only where one runs: the other commands are quick.
      const { runServer } = await import('./run-server.ts');
      await runServer();
    });
}
