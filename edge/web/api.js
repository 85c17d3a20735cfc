// The only file that calls fetch. Asks the edge this page came from, and nobody else.

let next = 1;

/**
 * Calls a public method of the edge.
 * @param {string} method for example "edge_overview"
 * @returns {Promise<object>} the result; rejects with a sentence for a person
 */
export async function call(method) {
  const body = JSON.stringify({ jsonrpc: "2.0", id: next++, method, params: [] });
  let response;
  try {
    response = await fetch("/rpc", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
      signal: AbortSignal.timeout(10_000),
    });
  } catch {
    throw new Error("The edge does not answer. It may have been stopped.");
  }
  if (!response.ok) throw new Error(`The edge answered with status ${response.status}.`);
  const answer = await response.json();
  if (answer.error) throw new Error(answer.error.message);
  return answer.result;
}
