export interface ErrorText {
  title: string;
  advice: string;
}

const START_AGAIN = 'Go back to the application you came from and start again.';
const TELL_OPERATOR =
  'Tell whoever runs the application: it asked for something that it may not have, or asked wrongly.';

const TEXTS: Record<string, ErrorText> = {
  not_found: {
    title: 'This page is not here',
    advice: `The address may be mistyped, or the page may have been open for too long. ${START_AGAIN}`,
  },
  access_denied: { title: 'This was refused', advice: START_AGAIN },
  login_required: { title: 'Please sign in', advice: START_AGAIN },
  invalid_token: { title: 'Session expired: please sign in again', advice: START_AGAIN },
  invalid_client: { title: 'Unknown application', advice: TELL_OPERATOR },
  unauthorized_client: { title: 'This application may not do that', advice: TELL_OPERATOR },
  invalid_redirect_uri: { title: 'This application can’t be returned to', advice: TELL_OPERATOR },
  invalid_request: {
    title: 'This request can’t be served',
    advice: `${START_AGAIN} If it happens again, tell whoever runs it.`,
  },
  temporarily_unavailable: {
    title: 'Not available at the moment',
    advice: 'Nothing is lost. Wait a minute, then load this page again.',
  },
  server_error: {
    title: 'Something went wrong on our side',
    advice: 'Try again in a minute. If it happens again, tell whoever runs this server.',
  },
};

const UNKNOWN: ErrorText = { title: 'This did not work', advice: START_AGAIN };

/** What an error means for a person and what to do next, by its OAuth error code or our own. */
export function errorText(code: string): ErrorText {
  return Object.hasOwn(TEXTS, code) ? (TEXTS[code] ?? UNKNOWN) : UNKNOWN;
}
