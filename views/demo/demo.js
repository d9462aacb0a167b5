// Counts down what the server said, and asks again: asking is no activity, so it keeps nobody signed in.
const POLL_MS = 5000;
const WARN_MS = 30000;

const session = document.getElementById('session');
if (session !== null) watch(session);

// A page that the browser keeps in memory is asked for again: after the end it has nothing to show, not even meanwhile.
addEventListener('pagehide', (event) => {
  document.documentElement.hidden = event.persisted;
});
addEventListener('pageshow', (event) => {
  if (event.persisted) location.reload();
});

function watch(element) {
  const clocks = ['idle', 'absolute'].map((id) => document.getElementById(id)).filter((clock) => clock !== null);
  const token = document.getElementById('token');
  const warning = document.getElementById('warning');
  let offset = Date.parse(element.dataset.serverTime) - Date.now();
  let nextPoll = Date.now() + POLL_MS;
  let asking = false;

  setInterval(() => {
    const leftUntil = (clock) => Date.parse(clock.dateTime) - Date.now() - offset;
    for (const clock of [...clocks, token]) clock.textContent = format(leftUntil(clock));
    const left = clocks.map(leftUntil);
    const least = Math.min(...left);
    const says = least <= WARN_MS ? 'Your session is about to end. Press “I am still here” to go on.' : '';
    if (warning.textContent !== says) warning.textContent = says;
    if (!asking && (Date.now() >= nextPoll || least <= 0)) ask();
  }, 250);

  async function ask() {
    asking = true;
    let answer = { state: 'unknown' };
    try {
      const response = await fetch('/status', { cache: 'no-store' });
      answer = await response.json();
    } catch {
      // Told below: what can't be asked for is not shown.
    }
    if (answer.state === 'ended') {
      location.reload();
      return;
    }
    document.body.dataset.state = answer.state;
    if (answer.state === 'live' && answer.idle_expires_at) {
      offset = Date.parse(answer.server_time) - Date.now();
      for (const clock of clocks) clock.dateTime = answer[`${clock.id}_expires_at`];
    }
    nextPoll = Date.now() + (answer.state === 'live' ? POLL_MS : 1000);
    asking = false;
  }
}

function format(milliseconds) {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}
