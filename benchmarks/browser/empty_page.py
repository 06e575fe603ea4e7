"""The page that opening is compared with: the dashboard's frame with one word in it."""

import panel_material_ui as pmui

page = pmui.Page(title="empty", main=[pmui.Typography("Nothing here.")])
page.server_doc(title="empty")
