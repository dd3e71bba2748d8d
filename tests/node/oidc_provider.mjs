// A real provider of OpenID Connect, the package oidc-provider from npm, with one client and whatever account somebody
// names. Arguments: the client's callback address. It says its own address, and runs until it is ended.

import { createRequire } from "node:module";
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

// It is installed outside of the checkout, where NODE_PATH points to.
const { resolve } = createRequire(import.meta.url);
const { default: Provider } = await import(pathToFileURL(resolve("oidc-provider")));

const [callback] = process.argv.slice(2);
const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: "vx11",
        client_secret: "a secret of the black-box tests' own",
        redirect_uris: [callback],
        grant_types: ["authorization_code"],
        response_types: ["code"],
      },
    ],
    claims: { email: ["email", "email_verified"], profile: ["name"] },
    cookies: { keys: ["of the black-box tests"] },
    pkce: { required: () => true },
    // The login form of the package itself, which takes any password.
    features: { devInteractions: { enabled: true } },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@example.com`, email_verified: id !== "unverified", name: `Dr. ${id}` }),
    }),
  });
  server.on("request", provider.callback());
  console.log(`ISSUER ${issuer}`);
});
