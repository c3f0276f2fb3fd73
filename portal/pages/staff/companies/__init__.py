"""The client companies: all of them, a new one, one with its people, a person, and the import of both."""

from portal.domain.access import Permission
from portal.pages.screens import Screen
from portal.pages.shared.company_details import company_details
from portal.pages.shared.inviting import invite_to_client
from portal.pages.staff.companies.adding import new_company
from portal.pages.staff.companies.company import company
from portal.pages.staff.companies.directory import companies
from portal.pages.staff.companies.editing import edit_company
from portal.pages.staff.companies.importing import imports, one_import
from portal.pages.staff.companies.person import person

SCREENS = (
    Screen('/companies', companies, Permission.COMPANIES_SEE, 'companies'),
    Screen('/companies/new', new_company, Permission.COMPANIES_MANAGE, 'companies'),  # before any company of that name
    Screen('/companies/{slug}/edit', edit_company, Permission.COMPANIES_MANAGE, 'companies'),
    Screen('/companies/{slug}/details', company_details, Permission.COMPANIES_MANAGE, 'companies'),
    Screen('/companies/{slug}/invite', invite_to_client, Permission.PEOPLE_MANAGE, 'companies'),
    Screen('/import', imports, Permission.COMPANIES_MANAGE, 'companies'),
    Screen('/import/{id}', one_import, Permission.COMPANIES_MANAGE, 'companies'),
    Screen('/people/{id}', person, Permission.COMPANIES_SEE, 'companies'),
    Screen('/companies/{slug}', company, Permission.COMPANIES_SEE, 'companies'),
)
