// Counts what a model's answers cost, as they tell it (the API's "usage"): in $spent, for the log, are
// an answer's id and its tokens, read and written.
const KINDS = ['input_tokens', 'cache_creation_input_tokens', 'cache_read_input_tokens', 'output_tokens']
const LONGEST = 8 * 1024 * 1024

// nginx gives each request these anew.
let rest = ''
let id = ''
const spent = {}

function take (r, text) {
  if (!text.includes('"usage"')) { return }
  const told = JSON.parse(text)
  const message = told.message || told
  const usage = told.usage || message.usage || {}
  id = id || String(message.id || r.variables.request_id).replace(/[^\w-]/g, '').slice(0, 100)
  KINDS.forEach(kind => { if (usage[kind] > 0) { spent[kind] = Math.floor(usage[kind]) } })
  r.variables.spent = id + ' ' + KINDS.reduce((sum, kind) => sum + (spent[kind] || 0), 0)
}

function count (r, data, flags) {
  r.sendBuffer(data, flags)
  try {
    rest += data.toString()
    const lines = String(r.headersOut['Content-Type']).startsWith('text/event-stream')
    const whole = lines ? rest.split('\n') : flags.last ? [rest, ''] : [rest]
    rest = whole.pop().slice(-LONGEST)
    whole.forEach(text => take(r, text.replace(/^data:/, '')))
  } catch (_) {
    rest = ''
  }
}

export default { count }
