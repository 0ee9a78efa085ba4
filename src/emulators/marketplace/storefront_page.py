"""How the storefront looks."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from html import escape

from starlette.responses import HTMLResponse

from emulators.marketplace.book import ManagedApplication, Subscription
from emulators.marketplace.catalogue import Catalogue
from emulators.marketplace.fulfillment import Deal

_STYLE = """
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; color: #1b1b1b;
  background: #fff }
fieldset, article { border: 1px solid #767676; border-radius: .3rem; padding: 1rem; margin: 0 0 1rem }
label { display: block; margin-bottom: .6rem }
select, input[type=text], input[type=number] { font: inherit; width: 100%; padding: .4rem; box-sizing: border-box;
  color: inherit; background: #fff; border: 1px solid #767676; border-radius: .2rem }
button { font: inherit; padding: .4rem .8rem; cursor: pointer; color: inherit; background: #f5f5f5;
  border: 1px solid #767676; border-radius: .3rem }
button:hover { background: #e8eef7 }
form.one { display: inline-block; max-width: 94%; margin: 0 .4rem .4rem 0 }
form.one select, form.one input { width: auto; max-width: 100% }
:focus-visible { outline: 3px solid #0b5cad; outline-offset: 2px }
dl { display: grid; grid-template-columns: minmax(6rem, auto) 1fr; gap: .1rem .8rem; margin: 0 0 1rem }
dd { margin: 0; overflow-wrap: anywhere }
h2 { font-size: 1.1rem; margin: 0 0 .5rem }
@media (prefers-color-scheme: dark) {
  body { color: #eee; background: #1b1b1b } button { background: #2b2b2b } button:hover { background: #34404f }
  select, input[type=text], input[type=number] { background: #2b2b2b }
}
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_DEALS: Mapping[Deal, str] = {
    "public": "from the public list",
    "customer": "by a private offer to this customer",
    "multiparty": "by a private offer, together with a partner",
    "resale": "by a partner who resells",
    "csp": "by a cloud solution provider",
}
_MANAGES = {"deploy": "Deploy it", "fail": "It fails", "upgrade": "A newer version", "delete": "Delete it"}
_ACTS = {
    "PendingFulfillmentStart": (("configure", "Configure account now"), ("cancel", "Cancel")),
    "Subscribed": (
        *(("configure", "Manage account"), ("suspend", "Payment fails: suspend")),
        *(("renew", "Term ends: renew"), ("cancel", "Cancel")),
    ),
    "Suspended": (("configure", "Manage account"), ("reinstate", "Payment works: reinstate"), ("cancel", "Cancel")),
    "Unsubscribed": (("configure", "Manage account"),),
}


def page(
    catalogue: Catalogue, subscriptions: Sequence[Subscription], applications: Sequence[ManagedApplication]
) -> HTMLResponse:
    """Return the page: what can be bought, and what was."""
    bought = "".join(_subscription(catalogue, one) for one in subscriptions) or "<p>Nothing was bought yet.</p>"
    html = f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Mandate marketplace emulator</title><style>{_STYLE}</style></head>
<body><main>
<h1>Marketplace</h1>
<p>This is an emulator for local use: nobody pays. Here you are the customer, and what you do reaches the publisher as
Microsoft's marketplace would tell it.</p>
{_buying(catalogue)}
<h1>Your subscriptions</h1>
{bought}
<h1>In your own Azure subscription</h1>
{_managing(catalogue, applications)}
</main></body>
</html>
"""
    policy = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none'; base-uri 'none'"
    return HTMLResponse(html, headers={"Content-Security-Policy": policy, "Referrer-Policy": "same-origin"})


def _buying(catalogue: Catalogue) -> str:
    plans = "".join(
        f'<option value="{escape(p.id)}">{escape(p.name)} ({escape(p.id)})</option>' for p in catalogue.plans
    )
    people = "".join(
        f'<option value="{escape(user.username)}">{escape(user.name)}, {escape(organisation.name)}</option>'
        for organisation in catalogue.buyers
        for user in organisation.users
    )
    deals = "".join(f'<option value="{name}">{words}</option>' for name, words in _DEALS.items())
    return f"""<form method="post" action="/shop/buy"><fieldset><legend>Buy {escape(catalogue.offer)}</legend>
<label>Name of the subscription <input type="text" name="name" maxlength="60"></label>
<label>Plan <select name="plan">{plans}</select></label>
<label>Seats, where the plan has them <input type="number" name="quantity" min="1" max="999"></label>
<label>For whom <select name="beneficiary">{people}</select></label>
<label>Bought by <select name="purchaser"><option value="">the same person</option>{people}</select></label>
<label>Sold <select name="deal">{deals}</select></label>
<button type="submit">Buy</button></fieldset></form>"""


def _managing(catalogue: Catalogue, applications: Sequence[ManagedApplication]) -> str:
    plans = "".join(f'<option value="{escape(p.id)}">{escape(p.name)}</option>' for p in catalogue.plans)
    acts = "".join(f'<option value="{act}">{words}</option>' for act, words in _MANAGES.items())
    lines = "".join(
        f"<li>{escape(one.name)}: {escape(one.state)}, {escape(one.plan)} {escape(one.plan_version)}</li>"
        for one in applications
    )
    return f"""<ul>{lines or "<li>There is none.</li>"}</ul>
<form method="post" action="/shop/applications"><fieldset><legend>Managed application</legend>
<label>Name, of letters alone <input type="text" name="name" maxlength="60" value="mandate"></label>
<label>Plan <select name="plan">{plans}</select></label>
<label>What happens <select name="act">{acts}</select></label>
<button type="submit">Do it</button></fieldset></form>"""


def _subscription(catalogue: Catalogue, one: Subscription) -> str:
    facts = {
        "State": one.saas_subscription_status,
        "Plan": one.plan_id + (f", {one.quantity} seats" if one.quantity else ""),
        "For": one.beneficiary.email_id,
        "Bought by": one.purchaser.email_id,
        "Term": f"{(one.term.start_date or '-')[:10]} to {(one.term.end_date or '-')[:10]}",
        "Id": one.id,
    }
    lines = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    acts = "".join(_act(one, act, label) for act, label in _ACTS[one.saas_subscription_status])
    return (
        f'<article id="{escape(one.id)}"><h2>{escape(one.name)}</h2><dl>{lines}</dl>'
        f"{acts}{_changes(catalogue, one)}</article>"
    )


def _act(one: Subscription, act: str, label: str, field: str = "") -> str:
    action = f"/shop/{escape(one.id)}/{act}"
    return f'<form class="one" method="post" action="{action}">{field}<button type="submit">{label}</button></form>'


def _changes(catalogue: Catalogue, one: Subscription) -> str:
    if one.saas_subscription_status != "Subscribed" or "Update" not in one.allowed_customer_operations:
        return ""
    others = "".join(
        f'<option value="{escape(plan.id)}">{escape(plan.name)}</option>'
        for plan in catalogue.plans
        if plan.id != one.plan_id and not plan.private
    )
    plan = _act(one, "plan", "Change plan", f'<select name="plan" aria-label="New plan">{others}</select> ')
    if one.quantity is None:
        return plan
    field = f'<input type="number" name="quantity" aria-label="Seats" min="1" max="999" value="{one.quantity}"> '
    return plan + _act(one, "quantity", "Change seats", field)
