"""Do the fixes that the auditor tries help, and how much do they bring back?"""
