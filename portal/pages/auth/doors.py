"""The addresses of everything that one may ask for without having signed in. All of it is plain HTML that works without scripts.

Plain Starlette routes: they answer HEAD as well, and take nothing from the address that is not written here.
"""

from fastapi import APIRouter

from portal.pages.auth import first_start, reset, scrape, signin, small, viewing

router = APIRouter()
for _side in ('client', 'staff'):
    router.add_route(signin.SIGNIN[_side], signin.show, ['GET'])
    router.add_route(signin.SIGNIN[_side], signin.take, ['POST'])
    router.add_route(signin.FORGOT[_side], reset.show_forgot, ['GET'])
    router.add_route(signin.FORGOT[_side], reset.take_forgot, ['POST'])
router.add_route(reset.SET, reset.show_set, ['GET'])
router.add_route(reset.SET, reset.take_set, ['POST'])
router.add_route('/auth/signout', signin.sign_out, ['POST'])
router.add_route(viewing.STOP, viewing.stop, ['POST'])
router.add_route('/setup', first_start.show, ['GET'])
router.add_route('/setup', first_start.take, ['POST'])
router.add_route('/language', small.language, ['GET'])
router.add_route('/healthz', small.healthz, ['GET'])
router.add_route('/readyz', small.readyz, ['GET'])
router.add_route('/metrics', scrape.scrape, ['GET'])
router.add_route('/robots.txt', small.robots, ['GET'])
router.add_route('/favicon.ico', small.favicon, ['GET'])
