"""The addresses of everything that one may ask for without having signed in. All of it is plain HTML that works without scripts.

Plain Starlette routes: they answer HEAD as well, and take nothing from the address that is not written here.
"""

from fastapi import APIRouter

from portal.pages.auth import (
    address,
    confirm,
    entering,
    first_start,
    invitation,
    passkeys,
    plain,
    recovering,
    reset,
    scrape,
    second,
    setting_up,
    signin,
    small,
    sso_flow,
    sso_offers,
    viewing,
)
from portal.pages.auth.methods import passkey
from portal.sso_links import CALLBACK

router = APIRouter()
for _side in ('client', 'staff'):
    router.add_route(signin.SIGNIN[_side], signin.show, ['GET'])
    router.add_route(signin.SIGNIN[_side], signin.take, ['POST'])
    router.add_route(setting_up.PASSKEY[_side], setting_up.options, ['POST'])
    router.add_route(entering.SET_UP[_side], setting_up.show, ['GET'])
    router.add_route(entering.SET_UP[_side], setting_up.take, ['POST'])
    router.add_route(passkey.OPTIONS[_side], passkey.second_options, ['POST'])
    router.add_route(passkeys.OPTIONS[_side], passkeys.options, ['POST'])
    router.add_route(passkeys.ALONE[_side], signin.take_passkey, ['POST'])
    router.add_route(entering.SECOND[_side], second.show, ['GET'])
    router.add_route(entering.SECOND[_side], second.take, ['POST'])
    router.add_route(signin.FORGOT[_side], reset.show_forgot, ['GET'])
    router.add_route(signin.FORGOT[_side], reset.take_forgot, ['POST'])
    router.add_route(sso_offers.COMPANY[_side], sso_offers.show_company, ['GET'])
    router.add_route(sso_offers.COMPANY[_side], sso_offers.take_company, ['POST'])
router.add_route('/auth/sso/{provider}/start', sso_flow.start, ['GET'])
router.add_route(CALLBACK, sso_flow.callback, ['GET'])
router.add_route(reset.SET, reset.show_set, ['GET'])
router.add_route(reset.SET, reset.take_set, ['POST'])
router.add_route(passkey.CONFIRM_OPTIONS, passkey.confirm_options, ['POST'])
router.add_route(recovering.USE, recovering.show_use, ['GET'])
router.add_route(recovering.USE, recovering.take_use, ['POST'])
router.add_route(recovering.STOP, recovering.show_stop, ['GET'])
router.add_route(recovering.STOP, recovering.take_stop, ['POST'])
router.add_route(confirm.CONFIRM, confirm.show, ['GET'])
router.add_route(confirm.CONFIRM, confirm.take, ['POST'])
for _page in (invitation, address):
    router.add_route(_page.PAGE, _page.show, ['GET'])
    router.add_route(_page.PAGE, _page.take, ['POST'])
router.add_route('/auth/signout', signin.sign_out, ['POST'])
router.add_route(plain.STOP, viewing.stop, ['POST'])
router.add_route('/setup', first_start.show, ['GET'])
router.add_route('/setup', first_start.take, ['POST'])
router.add_route('/language', small.language, ['GET'])
router.add_route('/healthz', small.healthz, ['GET'])
router.add_route('/readyz', small.readyz, ['GET'])
router.add_route('/metrics', scrape.scrape, ['GET'])
router.add_route('/robots.txt', small.robots, ['GET'])
router.add_route('/favicon.ico', small.favicon, ['GET'])
