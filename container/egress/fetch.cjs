// Sends node's built-in fetch through the proxy in HTTPS_PROXY, for versions that ignore that variable.
// NODE_OPTIONS loads this file into every node program, so it does nothing before the first fetch.
'use strict'

const [major, minor] = process.versions.node.split('.').map(Number)
const knows = major >= 24 || (major === 22 && minor >= 21)
const proxy = process.env.HTTPS_PROXY
const own = globalThis.fetch
const here = new Set(['localhost', '127.0.0.1', '[::1]'])

function lead () {
  const { Agent, Dispatcher, ProxyAgent, setGlobalDispatcher } = require('./node_modules/undici')
  const direct = new Agent()
  const through = new ProxyAgent(proxy)
  setGlobalDispatcher(new class extends Dispatcher {
    dispatch (options, handler) {
      const way = here.has(new URL(options.origin).hostname) ? direct : through
      return way.dispatch(options, handler)
    }

    async close () { await Promise.all([direct.close(), through.close()]) }
    async destroy (error) { await Promise.all([direct.destroy(error), through.destroy(error)]) }
  }())
}

if (!knows && proxy && typeof own === 'function') {
  let led = false
  globalThis.fetch = function fetch (...given) {
    if (!led) {
      led = true
      lead()
    }
    return own.apply(this, given)
  }
}
