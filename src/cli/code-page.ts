/** The page that brings a code to the door: of no use to anybody once it has, and removed then. */
import type { PageCode } from '../daemon/page-actions.js';

/** HTML, for a file that only its user can read. The code stands in a form, and goes in a body: an address is kept in histories. */
export function codePage({ address, code }: Pick<PageCode, 'address' | 'code'>): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<title>Opening Postern</title>
</head>
<body>
<form method="post" action="${address}open">
<input type="hidden" name="code" value="${code.reveal()}">
<p>Opening the status page of Postern. <button>Go on</button></p>
</form>
<script>document.forms[0].submit();</script>
</body>
</html>
`;
}
