// The desk by keyboard: j and k go through the queue, o opens, x ticks; a and d go to the decision, which Enter takes.
// One key decides nothing by itself. All of it can be switched off in the help (WCAG 2.2, 2.1.4).
'use strict'

const help = document.getElementById('keys')
const off = 'countersign-keys-off'
const on = 'countersign-on-its-way'
const soon = 10000 // milliseconds from the key in the queue to the request's page; later it was something else that opened it

const rows = () => [...document.querySelectorAll('a[data-row]')]
const here = () => document.activeElement?.closest('li[id^="row-"]')

function move (step) {
  const all = rows()
  const at = all.indexOf(here()?.querySelector('a[data-row]'))
  const next = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : at + step]
  next?.focus()
  next?.closest('li').scrollIntoView({ block: 'nearest' })
}

function decide (name) {
  const target = document.querySelector(`[data-to=${name}]`)
  if (target) {
    target.focus()
    target.scrollIntoView({ block: 'center' })
    return
  }
  const row = here()?.querySelector('a[data-row]')
  if (!row) return
  sessionStorage.setItem(on, `${name} ${new URL(row.href).pathname} ${Date.now()}`)
  location.assign(row.href)
}

const DOES = {
  j: () => move(1),
  k: () => move(-1),
  o: () => here()?.querySelector('a[data-row]').click(),
  x: () => here()?.querySelector('input[type=checkbox]')?.click(),
  a: () => decide('approve'),
  d: () => decide('reasons'),
  c: () => document.getElementById('comment')?.focus(),
  q: () => location.assign('/'),
  '?': () => help?.showModal()
}

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return
  if (help?.open || event.target.closest('input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]')) return
  if (localStorage.getItem(off) && event.key !== '?') return
  const act = DOES[event.key]
  if (!act) return
  event.preventDefault()
  act()
})

for (const button of document.querySelectorAll('[data-keys]')) {
  button.dataset.works = ''
  button.addEventListener('click', () => help.showModal())
}

const choice = document.getElementById('keys-on')
if (choice) {
  choice.checked = !localStorage.getItem(off)
  choice.addEventListener('change', () => {
    if (choice.checked) localStorage.removeItem(off)
    else localStorage.setItem(off, '1')
  })
}

// Somebody pressed a or d in the queue. No address does it: a link from outside would put a decision under the next key.
const [to, where, when] = (sessionStorage.getItem(on) || '').split(' ')
sessionStorage.removeItem(on)
if (where === location.pathname && Date.now() - when < soon) decide(to)
