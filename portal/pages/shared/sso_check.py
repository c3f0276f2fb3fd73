"""Whether an identity provider works, tried from here."""

from uuid import UUID

from portal import oidc, outgoing, sealing, visit
from portal.domain.access import TenantCard
from portal.domain.sso import Provider
from portal.settings import Settings
from portal.sso_links import callback_of


async def problem_of(settings: Settings, tenant: TenantCard, provider: Provider) -> str | None:
    """A word for what is wrong (`problem_words`); None where all is well: it is there, is who it says, its keys can be read, and it
    knows the portal by id and secret."""
    allowed = settings.outgoing_networks
    oidc.forget(provider.issuer)
    try:
        metadata = await oidc.discover(provider.issuer, allowed)
        await oidc.keys(provider.issuer, allowed)
        party = oidc.Party(
            provider.issuer,
            provider.client_id,
            await _secret(settings, tenant.id, provider.id),
            callback_of(tenant.host, settings),
        )
        # a code that is none: whoever complains of the code has accepted the client
        await oidc.redeem(metadata, party, 'check', 'c' * 43, allowed)
    except oidc.Misconfigured as e:
        return e.what
    except outgoing.Refused:
        return 'refused'
    except outgoing.Unreachable as e:
        return e.kind
    except sealing.CannotUnseal:
        return 'secret'
    except oidc.NotProven:
        return None
    return None


async def _secret(settings: Settings, tenant: UUID, provider: UUID) -> str | None:
    row = await visit.database.ask('select app.identity_secret(:tenant, :provider)', tenant=tenant, provider=provider)
    if row[0] is None:
        return None
    return sealing.unseal(settings, sealing.Place('identity_secret', 'sealed', tenant, provider), bytes(row[0])).decode()
