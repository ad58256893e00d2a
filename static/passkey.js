// A passkey that does not answer, or a person who changes their mind: said on the page, not in a console.
document.addEventListener('allauth.error', (event) => {
  event.preventDefault()
  const trouble = document.getElementById('passkey-trouble')
  trouble.hidden = false
  trouble.setAttribute('tabindex', '-1')
  trouble.focus()
})
