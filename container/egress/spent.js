// Counts the tokens of a model's answers from the "usage" that the API reports.  For the log, $spent has an
// answer's id and the numbers of input and output tokens.  If an answer is cut off, its output is estimated.
//
// njs frees no memory before the request ends, so only the parts that are needed become strings.
const KINDS = ['input_tokens', 'cache_creation_input_tokens', 'cache_read_input_tokens', 'output_tokens']
const EVENT = 'event: content_block_delta'
const FRAME = 124 // bytes of such an event, without its text
const LETTERS = 4 // of a token, about
const LONGEST = 8 * 1024 * 1024

// nginx sets these anew for each request.
let rest = ''
let pieces = []
let size = 0
let events = 0
let id = ''
let complete = false
const spent = {}

function take (r, text) {
  const told = JSON.parse(text)
  const message = told.message || told
  const usage = told.usage || message.usage || {}
  complete = told.type !== 'message_start'
  size -= text.length
  id = id || String(message.id || r.variables.request_id).replace(/[^\w-]/g, '').slice(0, 100)
  KINDS.forEach(kind => { if (usage[kind] > 0) { spent[kind] = Math.floor(usage[kind]) } })
}

function tell (r) {
  if (id === '') { return }
  const sum = KINDS.reduce((so_far, kind) => so_far + (spent[kind] || 0), 0)
  const written = complete ? 0 : Math.max(events, Math.ceil((size - FRAME * events) / LETTERS))
  r.variables.spent = id + ' ' + (sum + Math.max(0, written - (spent.output_tokens || 0)))
}

function hear (r, data) {
  size += data.length
  for (let at = data.indexOf(EVENT); at >= 0; at = data.indexOf(EVENT, at + EVENT.length)) { events++ }
  if (rest === '' && data.indexOf('"usage"') < 0 && data[data.length - 1] === 10) { return }
  const text = rest + data.toString()
  const end = text.lastIndexOf('\n') + 1
  rest = text.slice(end).slice(-LONGEST)
  if (text.includes('"usage"')) {
    text.slice(0, end).split('\n').forEach(line => {
      if (line.includes('"usage"')) { take(r, line.replace(/^data:/, '')) }
    })
  }
}

function gather (r, data, flags) {
  size += data.length
  if (size > LONGEST) { return }
  pieces.push(data.toString())
  if (!flags.last) { return }
  const text = pieces.join('')
  if (text.includes('"usage"')) { take(r, text) }
}

function count (r, data, flags) {
  r.sendBuffer(data, flags)
  const kind = String(r.headersOut['Content-Type'])
  try {
    if (kind.startsWith('text/event-stream')) {
      hear(r, data)
    } else if (kind.startsWith('application/json')) {
      gather(r, data, flags)
    }
    tell(r)
  } catch (_) {
    rest = ''
  }
}

export default { count }
