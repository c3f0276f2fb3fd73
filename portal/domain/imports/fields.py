"""Which columns mean what: the fields of each kind, and what their headings are called in the wild."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portal.domain.access import BUILT_IN, UserType, role_label
from portal.domain.imports.model import Kind
from portal.i18n import L_


@dataclass(frozen=True, slots=True)
class ImportField:
    """`headings`: as `_key` makes them, English and German."""

    name: str
    label: Any
    headings: tuple[str, ...]
    needed: bool = False


COMPANY_FIELDS = (
    ImportField('name', L_('Name'), ('name', 'company', 'companyname', 'organisation', 'organization', 'client', 'customer', 'account', 'accountname', 'firma', 'firmenname', 'kunde', 'kundenname', 'unternehmen'), needed=True),
    ImportField('outside_ref', L_('Your reference'), ('yourreference', 'ihrereferenz', 'reference', 'outsidereference', 'ref', 'customerno', 'customernumber', 'accountnumber', 'clientid', 'customerid', 'id', 'externalid', 'kundennummer', 'kundennr', 'kdnr', 'referenz', 'debitor', 'debitorennummer')),
    ImportField('phone', L_('Phone'), ('phone', 'telephone', 'tel', 'phonenumber', 'mainphone', 'telefon', 'telefonnummer', 'rufnummer')),
    ImportField('website', L_('Website'), ('website', 'web', 'url', 'homepage', 'domain', 'webseite', 'internet')),
    ImportField('street', L_('Street and number'), ('streetandnumber', 'street', 'address', 'address1', 'addressline1', 'strasse', 'strassehausnummer', 'strasseundhausnummer', 'strasseundnummer', 'adresse', 'anschrift')),
    ImportField('postal_code', L_('Postal code'), ('postalcode', 'zip', 'zipcode', 'postcode', 'plz', 'postleitzahl')),
    ImportField('city', L_('City'), ('city', 'town', 'ort', 'stadt', 'wohnort')),
    ImportField('country', L_('Country'), ('country', 'land', 'staat')),
    ImportField('manager', L_('Looked after by (e-mail)'), ('lookedafterbyemail', 'lookedafterby', 'accountmanager', 'manager', 'betreuer', 'betreutvonemail', 'kundenbetreuer', 'ansprechpartnerintern')),
    ImportField('note', L_('Good to know'), ('goodtoknow', 'note', 'notes', 'comment', 'comments', 'notiz', 'notizen', 'bemerkung', 'bemerkungen', 'gutzuwissen')),
)  # fmt: skip
PEOPLE_FIELDS = (
    ImportField('email', L_('E-mail'), ('email', 'emailaddress', 'mail', 'emailadresse', 'mailadresse'), needed=True),
    ImportField('name', L_('Name'), ('name', 'fullname', 'displayname', 'person', 'contact', 'contactname', 'vollername', 'ansprechpartner', 'kontakt', 'anzeigename'), needed=True),
    ImportField('company', L_('Company'), ('company', 'companyname', 'organisation', 'organization', 'client', 'customer', 'account', 'accountname', 'firma', 'firmenname', 'kunde', 'kundennummer', 'unternehmen', 'reference', 'referenz')),
    ImportField('role', L_('Role'), ('role', 'rolle', 'permission', 'berechtigung')),
    ImportField('phone', L_('Phone'), ('phone', 'telephone', 'tel', 'phonenumber', 'mobile', 'workphone', 'telefon', 'telefonnummer', 'mobil', 'handy', 'rufnummer')),
)  # fmt: skip


def fields_of(kind: Kind) -> tuple[ImportField, ...]:
    return COMPANY_FIELDS if kind is Kind.COMPANIES else PEOPLE_FIELDS


def guess(kind: Kind, columns: list[str]) -> dict[str, int]:
    """Where each field most likely stands, by the headings. No column serves two fields."""
    keys = [_key(column) for column in columns]
    found: dict[str, int] = {}
    for field in fields_of(kind):
        names = (_key(str(field.label)), *field.headings)
        place = next((keys.index(name) for name in names if name in keys and keys.index(name) not in found.values()), None)
        if place is not None:
            found[field.name] = place
    return found


def role_named(words: str, own: Mapping[str, str]) -> str | None:
    """The role of a client that is called so: one of the tenant's own (`own`: its key by its name), else a built-in one, by its own
    name or as it is shown in either language."""
    wanted = _key(words)
    if found := next((key for name, key in own.items() if name.lower() == words.lower().strip()), None):
        return found
    names = {'user': 'ClientUser', 'benutzer': 'ClientUser', 'kundenbenutzer': 'ClientUser', 'billing': 'ClientBilling',
             'buchhaltung': 'ClientBilling', 'admin': 'ClientAdmin', 'administrator': 'ClientAdmin', 'kundenadmin': 'ClientAdmin'}  # fmt: skip
    for name, role in BUILT_IN.items():
        if role.user_type is UserType.CLIENT:
            names |= {_key(name): name, _key(role_label(name)): name}
    return names.get(wanted)


def _key(words: str) -> str:
    """`E-Mail-Adresse` and `e mail adresse` are the same; `Straße` is `strasse`."""
    plain = unicodedata.normalize('NFKD', words.casefold().replace('ä', 'a').replace('ö', 'o').replace('ü', 'u'))
    return re.sub(r'[^a-z0-9]', '', plain.encode('ascii', 'ignore').decode())
