package pmemblk.nbd.server;

import pmemblk.nbd.protocol.NbdError;

/**
 * Why a request failed.
 *
 * @param reason for a person at the client: names neither paths nor other clients
 */
record Refusal(NbdError error, String reason) {}
