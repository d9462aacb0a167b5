// A page that the browser keeps in memory is asked for again: after the end it has nothing to show, not even meanwhile.
addEventListener('pagehide', (event) => {
  document.documentElement.hidden = event.persisted;
});
addEventListener('pageshow', (event) => {
  if (event.persisted) location.reload();
});

// A second press while the first is under way would be refused as a repeated use.
for (const form of document.querySelectorAll('form[data-once]')) {
  form.addEventListener('submit', (event) => {
    if (form.hasAttribute('aria-busy')) event.preventDefault();
    form.setAttribute('aria-busy', 'true');
  });
}
